with {{ landed('crm_cases', instant='opened_at') }},

renamed as (
    select
        crm_case_no,
        ticket_no,
        contact_id,
        business_line,
        state,
        created_by,
        created_via,
        opened_at,
        closed_at,
        business_day,
        source_ref
    from landed
)

select * from renamed
