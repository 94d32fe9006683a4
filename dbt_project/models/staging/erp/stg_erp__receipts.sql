with {{ landed('erp_receipts', instant='received_at') }},

renamed as (
    select
        receipt_no,
        erp_order_no,
        order_no,
        transaction_id,
        created_by,
        created_via,
        amount_fen,
        received_at,
        created_at,
        business_day,
        source_ref
    from landed
)

select * from renamed
