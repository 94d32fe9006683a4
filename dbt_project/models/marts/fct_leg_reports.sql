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

{% if is_incremental() -%}
known as (
    select * from {{ this }}
    where until_run is null and {{ in_question(case_no_of_case(), 'int_dirty_numbers__known') }}
),

-- All legs are held against all that is known of them: by a hash of the state, read apart, so that
-- only what differs is ever held whole.
leg_states as (
    select
        case_id,
        leg,
        hash({{ state | join(', ') }}) as state_hash
    from {{ ref('fct_case_legs') }}
    where {{ in_question(case_no_of_case(), 'int_dirty_numbers__known') }}
),

known_states as (
    select
        case_id,
        leg,
        hash({{ state | join(', ') }}) as state_hash
    from {{ this }}
    where until_run is null and {{ in_question(case_no_of_case(), 'int_dirty_numbers__known') }}
),

changed as (
    select
        leg_states.case_id,
        leg_states.leg
    from leg_states
    anti join known_states
        on
            leg_states.case_id = known_states.case_id
            and leg_states.leg = known_states.leg
            and leg_states.state_hash = known_states.state_hash
),

outdated as (
    select
        known_states.case_id,
        known_states.leg
    from known_states
    anti join leg_states
        on
            known_states.case_id = leg_states.case_id
            and known_states.leg = leg_states.leg
            and known_states.state_hash = leg_states.state_hash
),

-- What a run said of the same data before it was told again is overwritten, not superseded.
superseded as (
    select
        known.* replace (run.run_no as until_run)
    from known
    cross join run
    inner join outdated on known.case_id = outdated.case_id and known.leg = outdated.leg
    left join changed on known.case_id = changed.case_id and known.leg = changed.leg
    where known.from_run < run.run_no or changed.case_id is null
),
{%- endif %}

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
    {%- if is_incremental() %}
        semi join changed on legs.case_id = changed.case_id and legs.leg = changed.leg
    {%- endif %}
)

select * from reported
{%- if is_incremental() %}
union all by name
select * from superseded
{%- endif %}
