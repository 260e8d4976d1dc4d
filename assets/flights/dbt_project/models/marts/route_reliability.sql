{{ config(materialized='table') }}

with flights as (
    select
        origin,
        dest,
        carrier,
        arr_delay,
        cancelled,
        diverted,
        distance
    from {{ source('flights', 'flights') }}
),

airports as (
    select faa, name
    from {{ source('flights', 'airports') }}
),

reliability as (
    select
        origin,
        dest,
        count(*) as flights,
        count(distinct carrier) as carriers,
        max(distance) as distance,
        count(*) filter (where cancelled) as cancelled,
        count(*) filter (where diverted) as diverted,
        count(arr_delay) as arrived,
        count(*) filter (where arr_delay < 15) as arrived_on_time,
        percentile_cont(0.5) within group (order by arr_delay) as median_arr_delay,
        percentile_cont(0.9) within group (order by arr_delay) as p90_arr_delay
    from flights
    group by origin, dest
)

select
    reliability.origin,
    reliability.dest,
    airports.name as dest_name,
    reliability.flights,
    reliability.carriers,
    reliability.distance,
    reliability.cancelled,
    reliability.diverted,
    reliability.cancelled::double precision / reliability.flights as cancelled_share,
    reliability.arrived_on_time::double precision / nullif(reliability.arrived, 0) as on_time_share,
    reliability.median_arr_delay::double precision as median_arr_delay,
    reliability.p90_arr_delay::double precision as p90_arr_delay
from reliability
left join airports on airports.faa = reliability.dest
