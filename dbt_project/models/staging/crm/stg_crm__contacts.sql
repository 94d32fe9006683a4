with {{ landed('crm_contacts', instant='created_at', newest='updated_at') }},

renamed as (
    select
        contact_id,
        unionid,
        openid,
        member_no,
        phone as phone_hash,
        customer_code,
        source,
        created_by,
        created_via,
        created_at,
        updated_at,
        business_day,
        source_ref
    from landed
)

select * from renamed
