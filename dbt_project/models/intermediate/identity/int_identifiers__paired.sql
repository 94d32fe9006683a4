{%- set kinds = match_tiers() -%}

with shown as (
    select * from {{ ref('int_identifiers__shown') }}
),

identities as (
    select * from {{ ref('stg_crm__identities') }}
),

sightings as (
    {% for kind in kinds -%}
        {% for other in kinds[loop.index:] -%}
            select
                {{ kind }} as one_identifier,
                {{ other }} as other_identifier,
                seen_at
            from shown
            where {{ kind }} is not null and {{ other }} is not null
            union all
        {% endfor -%}
    {% endfor -%}
    select
        left_kind || ':' || left_value,
        right_kind || ':' || right_value,
        seen_at
    from identities
),

-- A pair is the same whichever of the two a row names first.
ordered as (
    select
        least(one_identifier, other_identifier) as left_identifier,
        greatest(one_identifier, other_identifier) as right_identifier,
        seen_at
    from sightings
    where one_identifier <> other_identifier
),

paired as (
    select
        left_identifier,
        right_identifier,
        min(seen_at) as seen_at
    from ordered
    group by left_identifier, right_identifier
)

select * from paired
