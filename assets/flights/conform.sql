-- Conform and enrich one batch of flights. Run by conform.py in DuckDB over Arrow tables.
--
-- Tables: raw (as the feed gives it), planes, airports, airlines, weather; each with an extra column _row, its row
-- number. Rows in = rows out, in the same order: every join is a left join on a side made unique first.
--
-- Instants are built from instants: the clock of another time zone is read only for the scheduled arrival, and for the
-- few landings that came without a delay.

with plane as (
    select tailnum, manufacturer, model, year, seats
    from planes
    qualify row_number() over (partition by tailnum order by _row) = 1
),

airport as (
    select faa, name, tzone
    from airports
    qualify row_number() over (partition by faa order by _row) = 1
),

airline as (
    select carrier, name
    from airlines
    qualify row_number() over (partition by carrier order by _row) = 1
),

-- An hour may stand there twice: once a year the local clock shows it twice, and a replay folds both onto one instant.
hourly_weather as (
    select origin, time_hour, temp, wind_speed, precip, visib
    from weather
    qualify row_number() over (partition by origin, time_hour order by _row) = 1
),

departures as (
    select
        raw.*,
        airport.name as dest_name,
        airport.tzone as dest_zone,
        -- time_hour is the instant of the scheduled local hour, so no zone is needed here.
        raw.time_hour + to_minutes(raw.minute) as scheduled_departure
    from raw
    left join airport on airport.faa = raw.dest
),

-- The destination's clock and date at the scheduled departure.
arrival_clocks as (
    select
        *,
        timezone(dest_zone, scheduled_departure) as dest_clock,
        to_minutes(sched_arr_time // 100 * 60 + sched_arr_time % 100) as arrival_clock
    from departures
),

-- The first moment after the scheduled departure at which the destination's clock shows sched_arr_time.
schedules as (
    select
        *,
        scheduled_departure + to_minutes(dep_delay) as departed_at,
        timezone(
            dest_zone,
            date_trunc('day', dest_clock)
            + arrival_clock
            + to_days((date_trunc('day', dest_clock) + arrival_clock <= dest_clock)::integer)
        ) as scheduled_arrival
    from arrival_clocks
),

-- The same for arr_time, counted from the departure.
landing_clocks as (
    select
        *,
        timezone(dest_zone, departed_at) as landing_day,
        to_minutes(arr_time // 100 * 60 + arr_time % 100) as landing_clock
    from schedules
)

select
    make_date(landing.year, landing.month, landing.day) as flight_date,
    landing.carrier,
    airline.name as carrier_name,
    landing.flight,
    landing.tailnum,
    landing.origin,
    landing.dest,
    landing.dest_name,
    landing.hour,
    landing.time_hour,
    landing.scheduled_departure,
    landing.departed_at,
    landing.dep_delay,
    landing.scheduled_arrival,
    coalesce(
        landing.scheduled_arrival + to_minutes(landing.arr_delay),
        timezone(
            landing.dest_zone,
            date_trunc('day', landing.landing_day)
            + landing.landing_clock
            + to_days((date_trunc('day', landing.landing_day) + landing.landing_clock <= landing.landing_day)::integer)
        )
    ) as arrived_at,
    landing.arr_delay,
    landing.dep_time is null as cancelled,
    landing.dep_time is not null and landing.arr_delay is null as diverted,
    landing.air_time,
    landing.distance,
    plane.manufacturer as plane_manufacturer,
    plane.model as plane_model,
    plane.year as plane_year,
    plane.seats as plane_seats,
    hourly_weather.temp,
    hourly_weather.wind_speed,
    hourly_weather.precip,
    hourly_weather.visib
from landing_clocks as landing
left join airline on airline.carrier = landing.carrier
left join plane on plane.tailnum = landing.tailnum
left join hourly_weather
    on hourly_weather.origin = landing.origin
    and hourly_weather.time_hour = landing.time_hour
order by landing._row
