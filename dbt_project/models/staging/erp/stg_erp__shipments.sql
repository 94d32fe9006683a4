with {{ landed('erp_shipments', instant='created_at') }},

renamed as (
    select
        shipment_no,
        erp_order_no,
        state,
        created_by,
        created_via,
        shipped_at,
        created_at,
        business_day,
        source_ref
    from landed
)

select * from renamed
