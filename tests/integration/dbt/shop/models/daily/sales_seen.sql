{{ config(unique_key='id') }}
select id, day, amount from {{ source('raw', 'sales') }}
{% if is_incremental() %}
where id > (select max(id) from {{ this }})
{% endif %}
