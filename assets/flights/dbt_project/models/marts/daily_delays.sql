{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='flight_date',
        on_schema_change='append_new_columns',
    )
}}

with flights as (
    select
        flight_date,
        origin,
        dep_delay,
        arr_delay,
        cancelled,
        diverted
    from {{ source('flights', 'flights') }}
    {% if is_incremental() %}
    where {{ days_to_build('flight_date') }}
    {% endif %}
),

weather as (
    select
        make_date(year::integer, month::integer, day::integer) as flight_date,
        origin,
        max(wind_speed) as max_wind_speed,
        sum(precip) as precipitation,
        min(visib) as min_visibility
    from {{ source('flights', 'weather') }}
    {% if is_incremental() %}
    where {{ days_to_build('make_date(year::integer, month::integer, day::integer)') }}
    {% endif %}
    group by 1, 2
),

delays as (
    select
        flight_date,
        origin,
        count(*) as flights,
        count(*) filter (where cancelled) as cancelled,
        count(*) filter (where diverted) as diverted,
        count(*) filter (where dep_delay >= 15) as departed_late,
        count(arr_delay) as arrived,
        count(*) filter (where arr_delay < 15) as arrived_on_time,
        avg(dep_delay) as mean_dep_delay,
        percentile_cont(0.5) within group (order by dep_delay) as median_dep_delay,
        percentile_cont(0.9) within group (order by dep_delay) as p90_dep_delay,
        avg(arr_delay) as mean_arr_delay
    from flights
    group by flight_date, origin
)

select
    delays.flight_date,
    delays.origin,
    delays.flights,
    delays.cancelled,
    delays.diverted,
    delays.departed_late,
    delays.cancelled::double precision / delays.flights as cancelled_share,
    delays.arrived_on_time::double precision / nullif(delays.arrived, 0) as on_time_share,
    delays.mean_dep_delay::double precision as mean_dep_delay,
    delays.median_dep_delay::double precision as median_dep_delay,
    delays.p90_dep_delay::double precision as p90_dep_delay,
    delays.mean_arr_delay::double precision as mean_arr_delay,
    weather.max_wind_speed::double precision as max_wind_speed,
    weather.precipitation::double precision as precipitation,
    weather.min_visibility::double precision as min_visibility
from delays
left join weather
    on weather.flight_date = delays.flight_date
    and weather.origin = delays.origin
