with actors as (
    select * from {{ source('landing', 'interface_actors') }}
),

renamed as (
    select
        table_name,
        actor
    from actors
)

select * from renamed
