with {{ landed('tracking_events', instant='occurred_at') }},

renamed as (
    select
        ---------- ids
        event_id,
        session_id,
        openid,
        unionid,
        member_no,
        case_no,
        message_id,
        app_id,
        ---------- what happened
        event,
        channel,
        business_line,
        scene,
        page,
        shown_state,
        ---------- numerics
        amount_fen,
        ---------- instants
        occurred_at,
        business_day,
        source_ref
    from landed
)

select * from renamed
