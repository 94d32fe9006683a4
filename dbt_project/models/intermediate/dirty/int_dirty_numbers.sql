{#- A table of its own each run: what was dirty before is judged. -#}
{% if is_rejudging() -%}
with recursive links as (
    select * from {{ ref('int_number_links') }}
),

events as (
    select * from {{ ref('stg_tracking__events') }}
),

payments as (
    select * from {{ ref('stg_wechat__pay_bill') }}
),

-- Judged while a window, or a guard, was still open.
unsettled as (
    select case_no from ({{ settled_cases() }}) as cases
    where not is_settled
),

-- A payment is a case where its app is one that is tracked.
tracked_apps as (
    select distinct app_id from events
    where app_id is not null
),

changed_apps as (
    select coalesce(now.app_id, before.app_id) as app_id
    from tracked_apps as now
    full outer join intermediate.int_tracked_apps as before on now.app_id = before.app_id
    where now.app_id is null or before.app_id is null
),

app_counts as (
    select
        ((select count(*) from tracked_apps) = 0)
        is distinct from ((select count(*) from intermediate.int_tracked_apps) = 0)
            as has_begun_or_ended
),

seeds as (
    select number from {{ ref('stg_landing__touched') }}
    union
    select case_no from unsettled
    union
    select payments.order_no
    from payments
    inner join changed_apps on payments.app_id = changed_apps.app_id
    union
    select payments.order_no
    from payments
    inner join app_counts on app_counts.has_begun_or_ended
),

reached (number) as (
    select number from seeds
    union
    select links.linked_number
    from reached
    inner join links on reached.number = links.number
)

select distinct number from reached
where number is not null
{%- else -%}
-- depends_on: {{ ref('int_number_links') }}
-- depends_on: {{ ref('stg_tracking__events') }}
-- depends_on: {{ ref('stg_wechat__pay_bill') }}
-- depends_on: {{ ref('stg_landing__touched') }}
-- depends_on: {{ ref('stg_messaging__messages') }}
-- depends_on: {{ ref('stg_erp__shipments') }}
-- depends_on: {{ ref('stg_crm__appointments') }}
-- depends_on: {{ ref('stg_crm__cases') }}
    select cast(null as varchar) as number
    where false
{%- endif %}
