{#- WeChat's words for where an article was read, by ours; any other word counts as other. -#}
{%- set scenes = {
    'messages': '公众号消息', 'chat': '聊天会话', 'moments': '朋友圈', 'profile': '公众号主页',
    'recommended': '推荐', 'search': '搜一搜',
} -%}
{%- set days = [1, 7, 30] -%}

with articles as (
    select * from {{ ref('stg_wechat__oa_articles') }}
),

article_scenes as (
    select * from {{ ref('stg_wechat__oa_article_scenes') }}
    where scene is distinct from '全部'
),

run as (
    select * from {{ ref('int_run__as_of') }}
),

ranked as (
    select
        *,
        row_number() over (
            partition by article_id, published_on order by stat_on desc
        ) as recency_rank,
        readers_count < lag(readers_count) over (
            partition by article_id, published_on order by stat_on
        ) as is_fall
    from articles
),

statistics as (
    select
        article_id,
        published_on,
        {%- for day in days %}
            max(case when stat_on = published_on + {{ day - 1 }} then readers_count end)
                as readers_day_{{ day }}_count,
            max(case when stat_on = published_on + {{ day - 1 }} then sharers_count end)
                as sharers_day_{{ day }}_count,
        {%- endfor %}
        count(*) as statistics_count,
        max(case when is_fall then 1 else 0 end) as falls
    from ranked
    group by article_id, published_on
),

named_scenes as (
    select
        *,
        {%- for scene in scenes.values() %}
            coalesce(scene = '{{ scene }}', false) or
        {%- endfor %}
        false as is_named
    from article_scenes
),

readers_by_scene as (
    select
        article_id,
        published_on,
        stat_on,
        {%- for name, scene in scenes.items() %}
            sum(case when scene = '{{ scene }}' then readers_count else 0 end)
                as {{ name }}_readers_count,
        {%- endfor %}
        sum(case when is_named then 0 else readers_count end) as other_readers_count
    from named_scenes
    group by article_id, published_on, stat_on
),

joined as (
    select
        ranked.article_id,
        ranked.published_on,
        ranked.publish_type = 0 as is_notified,
        ranked.title,
        ranked.article_url,
        ranked.stat_on,
        ranked.readers_count,
        {%- for name in scenes %}
            cast(readers_by_scene.{{ name }}_readers_count as bigint) as {{ name }}_readers_count,
        {%- endfor %}
        cast(readers_by_scene.other_readers_count as bigint) as other_readers_count,
        ranked.follower_readers_count,
        ranked.sharers_count,
        ranked.hearts_count,
        ranked.likes_count,
        ranked.comments_count,
        ranked.collectors_count,
        ranked.praise_fen,
        ranked.delivery_rate,
        ranked.finish_rate,
        ranked.minutes_per_reader,
        {%- for day in days %}
            statistics.readers_day_{{ day }}_count,
            statistics.sharers_day_{{ day }}_count,
        {%- endfor %}
        case when statistics.statistics_count > 1 then statistics.falls = 0 end
            as is_never_falling,
        run.as_of
    from ranked
    inner join statistics
        on
            ranked.article_id = statistics.article_id
            and ranked.published_on = statistics.published_on
    left join readers_by_scene
        on
            ranked.article_id = readers_by_scene.article_id
            and ranked.published_on = readers_by_scene.published_on
            and ranked.stat_on = readers_by_scene.stat_on
    cross join run
    where ranked.recency_rank = 1
)

select * from joined
