{{ config(indexes=[{'columns': ['customer_id'], 'unique': true}]) }}
select * from {{ ref('stg_customers') }}
