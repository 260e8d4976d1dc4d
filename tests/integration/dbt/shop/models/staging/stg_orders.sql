select id as order_id, customer as customer_id, status from {{ ref('raw_orders') }}
