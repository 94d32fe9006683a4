with {{ landed('mp_orders', instant='coalesce(paid_at, first_shipped_upload_at)') }},

renamed as (
    select
        transaction_id,
        order_no,
        openid,
        order_state,
        paid_amount_fen,
        paid_at,
        first_shipped_upload_at,
        business_day,
        source_ref
    from landed
)

select * from renamed
