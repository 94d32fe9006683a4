{{ config(meta={'dagster': {'ref': {'name': 'fct_cases'}}}) }}

-- Marts name people by person_id only. Returns columns of the marts that would carry an openid,
-- a unionid, a member number, a phone or its hash, a customer code or an actor. A share of matches
-- by kind of identifier is a number and names nobody.
select
    table_name,
    column_name
from information_schema.columns
where
    table_schema = 'marts'
    and regexp_matches(
        column_name, '(openid|unionid|member_no|phone|customer_code|created_by|actor)'
    )
    and not (column_name like '%_share' and data_type = 'DOUBLE')
-- depends on: {{ ref('fct_cases') }} {{ ref('fct_sessions') }} {{ ref('dim_people') }}
-- depends on: {{ ref('dim_shared_identifiers') }} {{ ref('fct_identity_conflicts') }}
-- depends on: {{ ref('rpt_conversion_daily') }}
