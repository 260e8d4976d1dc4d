{{ config(materialized='view', event_time='day') }}
select day::timestamp as day, id, amount from {{ source('raw', 'sales') }}
