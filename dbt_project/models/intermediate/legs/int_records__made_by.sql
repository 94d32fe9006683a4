with actors as (
    select * from {{ ref('stg_company__interface_actors') }}
),

records as (
    select * from {{ ref('int_records__caused') }}
),

signs as (
    select * from {{ ref('int_records__hand_signs') }}
),

listed as (
    select
        table_name,
        count(*) as actors_count
    from actors
    group by table_name
),

told as (
    select
        records.table_name,
        records.source_ref,
        case
            when records.created_via in ('ui', 'import') then 'human'
            when
                records.created_by is not null
                and listed.actors_count is not null
                and actors.actor is null
                then 'human'
            when records.created_via = 'interface' or actors.actor is not null then 'interface'
        end as told_made_by
    from records
    left join listed on records.table_name = listed.table_name
    left join actors
        on records.table_name = actors.table_name and records.created_by = actors.actor
),

-- Where the source tells nothing the score decides, and for an interface only where it could see
-- how late the record is.
judged as (
    select
        told.table_name,
        told.source_ref,
        case
            when told.told_made_by is not null then told.told_made_by
            when signs.made_by_score >= {{ by_hand('human_score') }} then 'human'
            when signs.lag_seconds is not null and signs.usual_lag_seconds is not null
                then 'interface'
            else 'unknown'
        end as made_by,
        case when told.told_made_by is null then signs.made_by_score end as made_by_score,
        case
            when told.told_made_by is null and signs.made_by_score >= {{ by_hand('human_score') }}
                then concat_ws(
                    ', ',
                    case when signs.key_absent > 0 then 'a key is left out' end,
                    case when signs.lag_unusual > 0 then 'later than usual' end,
                    case
                        when signs.office_closed > 0
                            then 'in office hours, of a case outside them'
                    end,
                    case when signs.burst > 0 then 'in a burst down a list' end,
                    case when signs.field_mistyped > 0 then 'a phone or amount mistyped' end
                )
        end as hand_signs
    from told
    inner join signs on told.source_ref = signs.source_ref
)

select * from judged
