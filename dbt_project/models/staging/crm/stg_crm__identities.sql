with {{ landed('identities', instant='seen_at') }},

renamed as (
    select
        left_kind,
        left_value,
        right_kind,
        right_value,
        seen_at,
        source,
        business_day,
        source_ref
    from landed
)

select * from renamed
