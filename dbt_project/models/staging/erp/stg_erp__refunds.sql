with {{ landed('erp_refunds', instant='posted_at') }},

renamed as (
    select
        refund_doc_no,
        erp_order_no,
        order_no,
        refund_no,
        refund_id,
        created_by,
        created_via,
        amount_fen,
        posted_at,
        business_day,
        source_ref
    from landed
)

select * from renamed
