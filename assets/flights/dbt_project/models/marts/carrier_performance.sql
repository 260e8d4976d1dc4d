{{ config(materialized='table') }}

with flights as (
    select
        carrier,
        flight_date,
        tailnum,
        dest,
        dep_delay,
        arr_delay,
        cancelled,
        diverted,
        distance
    from {{ source('flights', 'flights') }}
),

airlines as (
    select carrier, name
    from {{ source('flights', 'airlines') }}
),

performance as (
    select
        carrier,
        min(flight_date) as first_flight_date,
        max(flight_date) as last_flight_date,
        count(*) as flights,
        count(distinct dest) as destinations,
        count(distinct tailnum) as planes,
        count(*) filter (where cancelled) as cancelled,
        count(*) filter (where diverted) as diverted,
        count(arr_delay) as arrived,
        count(*) filter (where arr_delay < 15) as arrived_on_time,
        avg(dep_delay) as mean_dep_delay,
        avg(arr_delay) as mean_arr_delay,
        percentile_cont(0.5) within group (order by arr_delay) as median_arr_delay,
        sum(distance) filter (where not cancelled) as miles_flown
    from flights
    group by carrier
)

select
    performance.carrier,
    airlines.name as carrier_name,
    performance.first_flight_date,
    performance.last_flight_date,
    performance.flights,
    performance.destinations,
    performance.planes,
    performance.cancelled,
    performance.diverted,
    performance.cancelled::double precision / performance.flights as cancelled_share,
    performance.arrived_on_time::double precision / nullif(performance.arrived, 0) as on_time_share,
    performance.mean_dep_delay::double precision as mean_dep_delay,
    performance.mean_arr_delay::double precision as mean_arr_delay,
    performance.median_arr_delay::double precision as median_arr_delay,
    performance.miles_flown::bigint as miles_flown
from performance
left join airlines on airlines.carrier = performance.carrier
