-- Every published flight of the days that were built is counted once, and nothing else is.
{{ config(meta={'dagster': {'ref': {'name': 'daily_delays'}}}) }}

with published as (
    select flight_date, origin, count(*) as flights
    from {{ source('flights', 'flights') }}
    where {{ days_to_build('flight_date') }}
    group by flight_date, origin
),

counted as (
    select flight_date, origin, flights
    from {{ ref('daily_delays') }}
    where {{ days_to_build('flight_date') }}
)

select
    flight_date,
    origin,
    published.flights as published_flights,
    counted.flights as counted_flights
from published
full outer join counted using (flight_date, origin)
where published.flights is distinct from counted.flights
