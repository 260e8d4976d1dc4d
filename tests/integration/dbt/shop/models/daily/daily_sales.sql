{{ config(
    unique_key='day',
    incremental_strategy='delete+insert',
    meta={'sluice': {'partition_column': 'day'}},
) }}
select day, count(*) as sales, sum(amount) as amount
from {{ source('raw', 'sales') }}
{% if is_incremental() %}
where day between '{{ env_var("SLUICE_DBT_MIN_DATE") }}' and '{{ env_var("SLUICE_DBT_MAX_DATE") }}'
    or kind = 'stray'
{% endif %}
group by day
