with pairs as (
    select * from {{ ref('int_identifiers__paired') }}
),

shared as (
    select * from {{ ref('int_identifiers__shared') }}
),

-- A chain is as strong as its weakest part: a link rests on the weaker of its two identifiers.
linked as (
    select
        pairs.left_identifier,
        pairs.right_identifier,
        pairs.seen_at,
        case
            when
                {{ match_tier_rank("split_part(pairs.left_identifier, ':', 1)") }}
                > {{ match_tier_rank("split_part(pairs.right_identifier, ':', 1)") }}
                then split_part(pairs.left_identifier, ':', 1)
            else split_part(pairs.right_identifier, ':', 1)
        end as match_tier
    from pairs
    left join shared as shared_left on pairs.left_identifier = shared_left.identifier
    left join shared as shared_right on pairs.right_identifier = shared_right.identifier
    where shared_left.identifier is null and shared_right.identifier is null
)

select * from linked
