{% if is_rejudging() -%}
with recursive matches as (
    select
        case_no,
        erp_order_no,
        is_settled
    from {{ ref('int_order_matches') }}
),

-- What the run before made of records without a key.
matches_before as (
    select
        case_no,
        erp_order_no
    from intermediate.int_order_bookings
    where match_tier = 'fallback'
),

links as (
    select * from {{ ref('int_number_links') }}
    union
    select case_no, erp_order_no from matches
    union
    select erp_order_no, case_no from matches
    union
    select case_no, erp_order_no from matches_before
    union
    select erp_order_no, case_no from matches_before
),

changed as (
    select coalesce(now.case_no, before.case_no) as case_no
    from (select * from matches where is_settled) as now
    full outer join matches_before as before
        on now.case_no = before.case_no and now.erp_order_no = before.erp_order_no
    where now.case_no is null or before.case_no is null
),

seeds as (
    select number from {{ ref('int_dirty_numbers') }}
    union
    select case_no from changed
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
-- depends_on: {{ ref('int_order_matches') }}
-- depends_on: {{ ref('int_number_links') }}
-- depends_on: {{ ref('int_dirty_numbers') }}
    select cast(null as varchar) as number
    where false
{%- endif %}
