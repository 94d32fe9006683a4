{{ config(severity='warn') }}

-- WeChat adds scene codes several times a year. Returns those by which sessions entered and that
-- the seed scene_codes does not know: they count as `other` until they are added to it.
select
    scene,
    sessions_count
from {{ ref('dim_scenes') }}
where is_listed is not true
