{{ config(meta={'dagster': {'ref': {'name': 'fct_cases'}}}) }}

-- Marts name people by person_id only. Returns columns of the marts that would carry an openid,
-- a unionid, a member number, a phone or its hash, a customer code or an actor.
select
    table_name,
    column_name
from information_schema.columns
where
    table_schema = 'marts'
    and regexp_matches(
        column_name, '(openid|unionid|member_no|phone|customer_code|created_by|actor)'
    )
-- depends on: {{ ref('fct_cases') }} {{ ref('fct_sessions') }} {{ ref('dim_people') }}
