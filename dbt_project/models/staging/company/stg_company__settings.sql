with company as (
    select * from {{ source('landing', 'company') }}
),

renamed as (
    select
        {{ start_of_business_day('first_day') }} as starts_at,
        shared_limit
    from company
)

select * from renamed
