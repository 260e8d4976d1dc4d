{{ config(
    incremental_strategy='microbatch',
    event_time='day',
    batch_size='day',
    begin='2024-03-01',
    unique_key='id',
) }}
select day, id, amount from {{ ref('sales_in_time') }}
