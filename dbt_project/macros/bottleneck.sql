{#-
    The chain form of closure as the CTE `bottleneck_rated`: each leg of `relation` (columns
    leg_rank, reached_count, passed_count and pass_rate, P(leg | earlier legs)) with whether it
    `is_bottleneck` of its `cell` (the least rate below 1, the earliest of equals), and
    `points_gained`: by how many percentage points closure would rise if all that reach the leg
    passed it and the legs after it went on as they do. Null where nothing passed, for then nobody
    has seen how the legs after it go on.
-#}
{% macro bottleneck(relation, cell) -%}
{%- set cell = cell | join(', ') -%}
chain_rated as (
    select
        *,
        {{ rate(
            'min(passed_count) over (partition by ' ~ cell ~ ')',
            'max(reached_count) over (partition by ' ~ cell ~ ')'
        ) }} as chain_rate
    from {{ relation }}
),

bottleneck_rated as (
    select
        *,
        coalesce(pass_rate < 1, false)
        and row_number() over (
            partition by {{ cell }} order by pass_rate nulls last, leg_rank
        ) = 1 as is_bottleneck,
        100 * (chain_rate / nullif(pass_rate, 0) - chain_rate) as points_gained
    from chain_rated
)
{%- endmacro %}
