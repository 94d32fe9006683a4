{{ config(meta={'dagster': {'ref': {'name': 'fct_divergences'}}}) }}

-- Open findings and diverging legs are the same set. Returns what stands in one of them only.
with findings as (
    select
        case_id,
        leg,
        divergence
    from {{ ref('fct_divergences') }}
    where healed_at is null
),

legs as (
    select
        case_id,
        leg,
        divergence
    from {{ ref('fct_case_legs') }}
    where divergence <> 'none'
)

(
    select * from findings
    except
    select * from legs
)
union all
(
    select * from legs
    except
    select * from findings
)
