with watermarks as (
    select * from {{ source('landing', 'watermarks') }}
),

renamed as (
    select
        table_name,
        is_connected,
        complete_from,
        complete_until
    from watermarks
)

select * from renamed
