with {{ landed('erp_orders', instant='ordered_at', newest='updated_at') }},

renamed as (
    select
        ---------- ids
        erp_order_no,
        order_no,
        transaction_id,
        customer_code,
        phone as phone_hash,
        ---------- what it says
        channel,
        business_line,
        state,
        currency,
        created_by,
        created_via,
        ---------- numerics
        amount_fen,
        freight_fen,
        discount_fen,
        ---------- instants
        ordered_at,
        created_at,
        updated_at,
        business_day,
        source_ref
    from landed
)

select * from renamed
