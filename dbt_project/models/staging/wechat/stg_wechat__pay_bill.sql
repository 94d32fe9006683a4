with {{ landed('pay_bill', instant='happened_at') }},

renamed as (
    select
        ---------- ids
        row_kind,
        transaction_id,
        order_no,
        refund_id,
        refund_no,
        app_id,
        mch_id,
        openid,
        ---------- states
        trade_type,
        upper(trade_state) as trade_state,
        upper(refund_state) as refund_state,
        ---------- numerics
        order_amount_fen,
        settled_amount_fen,
        coupon_fen,
        coalesce(refund_requested_fen, refund_amount_fen) as refund_fen,
        coalesce(refund_amount_fen, refund_requested_fen) as refunded_fen,
        fee_milli_fen,
        ---------- instants
        happened_at,
        business_day,
        source_ref
    from landed
)

select * from renamed
