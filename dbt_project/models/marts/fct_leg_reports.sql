{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['case_id', 'leg', 'from_run'],
    on_schema_change='fail'
) }}

{%- set state = [
    'truth', 'divergence', 'sub_class', 'match_tier', 'evidence_at', 'evidence_amount_fen',
    'amount_at_stake_fen'
] %}

with legs as (
    select * from {{ ref('fct_case_legs') }}
    where {{ in_question(case_no_of_case(), 'int_dirty_numbers__known') }}
),

cases as (
    select * from {{ ref('fct_cases') }}
),

run as (
    select max(run_no) as run_no from {{ ref('fct_runs') }}
),

reported as (
    select
        legs.case_id,
        legs.loop,
        legs.business_line,
        legs.channel,
        legs.leg,
        cases.business_day,
        {% for column in state -%}
            legs.{{ column }},
        {% endfor -%}
        legs.evidence_ref,
        run.run_no as from_run,
        cast(null as bigint) as until_run
    from legs
    inner join cases on legs.case_id = cases.case_id
    cross join run
)

{% if is_incremental() -%}
, known as (
    select * from {{ this }}
    where until_run is null and {{ in_question(case_no_of_case(), 'int_dirty_numbers__known') }}
),

changed as (
    select reported.*
    from reported
    left join known on reported.case_id = known.case_id and reported.leg = known.leg
    where
        known.case_id is null
        {%- for column in state %}
            or reported.{{ column }} is distinct from known.{{ column }}
        {%- endfor %}
),

-- What a run said of the same data before it was told again is overwritten, not superseded.
superseded as (
    select
        known.* replace (run.run_no as until_run)
    from known
    cross join run
    left join reported on known.case_id = reported.case_id and known.leg = reported.leg
    left join changed on known.case_id = changed.case_id and known.leg = changed.leg
    where
        (reported.case_id is null or changed.case_id is not null)
        and (known.from_run < run.run_no or reported.case_id is null)
)

select * from changed
union all by name
select * from superseded
{%- else -%}
    select * from reported
{%- endif %}
