{{ config(materialized='table') }}

with {{ landed('callback_events', instant='occurred_at', key=['event_id']) }},

renamed as (
    select
        event_id,
        event,
        app_id,
        openid,
        event_key,
        template_id,
        menu_id,
        popup_scene,
        occurred_at,
        business_day,
        source_ref
    from landed
)

select * from renamed
