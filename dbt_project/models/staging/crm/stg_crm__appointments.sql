with {{ landed('crm_appointments', instant='created_at', newest='updated_at') }},

renamed as (
    select
        appointment_no,
        booking_no,
        contact_id,
        business_line,
        state,
        created_by,
        created_via,
        slot_at,
        created_at,
        updated_at,
        business_day,
        source_ref
    from landed
)

select * from renamed
