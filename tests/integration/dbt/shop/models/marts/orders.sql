select o.order_id, o.customer_id, coalesce(sum(p.amount), 0) as amount
from {{ ref('completed_orders') }} as o
left join {{ source('raw', 'payments') }} as p using (order_id)
group by 1, 2
