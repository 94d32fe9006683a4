{{ config(materialized='table') }}

with {{ landed('oa_users', key=['ref_date', 'user_source']) }},

renamed as (
    select
        ref_date as business_day,
        user_source,
        new_user as new_followers_count,
        cancel_user as lost_followers_count,
        cumulate_user as followers_count,
        source_ref
    from landed
)

select * from renamed
