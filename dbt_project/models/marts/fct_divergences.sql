{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['case_id', 'leg'],
    on_schema_change='fail'
) }}

with legs as (
    select * from {{ ref('fct_case_legs') }}
    where divergence <> 'none'
),

run as (
    select * from {{ ref('int_run__as_of') }}
),

known as (
    {% if is_incremental() -%}
    select * from {{ this }}
    {%- else -%}
        select
            cast(null as varchar) as case_id,
            cast(null as varchar) as leg,
            cast(null as varchar) as divergence,
            cast(null as timestamptz) as first_seen_at,
            cast(null as timestamptz) as healed_at
        where false
    {%- endif %}
),

found as (
    select
        legs.case_id,
        legs.loop,
        legs.business_line,
        legs.channel,
        legs.leg,
        legs.divergence,
        legs.sub_class,
        legs.truth,
        legs.claim_at,
        legs.evidence_at,
        legs.due_at,
        legs.lag_seconds,
        legs.claim_amount_fen,
        legs.evidence_amount_fen,
        legs.amount_at_stake_fen,
        legs.claim_ref,
        legs.evidence_ref,
        legs.owner,
        legs.detail,
        -- The same class still open goes on; another class, or one that had healed, starts anew.
        least(
            case
                when known.healed_at is null and known.divergence = legs.divergence
                    then known.first_seen_at
            end,
            run.as_of
        ) as first_seen_at,
        run.as_of as last_seen_at,
        cast(null as timestamptz) as healed_at,
        run.as_of
    from legs
    cross join run
    left join known on legs.case_id = known.case_id and legs.leg = known.leg
)

{% if is_incremental() -%}
, healed as (
    select
        known.* replace (
            coalesce(known.healed_at, run.as_of) as healed_at,
            run.as_of as as_of
        )
    from known
    cross join run
    left join legs on known.case_id = legs.case_id and known.leg = legs.leg
    where legs.case_id is null
)

{% endif -%}
select * from found
{%- if is_incremental() %}
union all by name
select * from healed
{%- endif %}
