{{ config(materialized='view') }}
select c.customer_id, c.name, sum(o.amount) as amount
from {{ ref('customers') }} as c
join {{ ref('orders') }} as o using (customer_id)
group by 1, 2
