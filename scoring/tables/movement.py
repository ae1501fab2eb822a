"""SQL for how ranks moved between two versions of `scores`.

Only examples that both versions rank are compared, also by Spearman's correlation, so examples that
came or went do not count as movement. `moved` is the difference of the published percentiles,
positive towards prototypical, and `class_moved` the same within the class. A new label may change
only the latter, so relabelled examples come first.
"""

_BOTH = """
    with one as (select * from "before"), two as (select * from "after"),
    common as (
        select dataset, split, metric, example_id, two.name, two.label,
               one.label as label_before, one.percentile as percentile_before,
               two.percentile as percentile, two.percentile - one.percentile as moved,
               two.class_percentile - one.class_percentile as class_moved,
               one.label is distinct from two.label as relabelled
        from one join two using (dataset, split, metric, example_id)
        where one.rank is not null and two.rank is not null
    )
"""

MOVED = (
    _BOTH
    + """
    select dataset, split, metric, example_id, name, label_before, label,
           percentile_before, percentile, moved, class_moved
    from common
    where moved <> 0 or relabelled
    order by relabelled desc, abs(moved) desc, dataset, split, metric, example_id
    limit {n:d}
"""
)

BY_METRIC = (
    _BOTH
    + """,
    ranked as (
        select *,
               rank() over a + (count(*) over (partition by dataset, split, metric,
                   percentile_before) - 1) / 2.0 as rank_before,
               rank() over b + (count(*) over (partition by dataset, split, metric,
                   percentile) - 1) / 2.0 as rank_after
        from common
        window a as (partition by dataset, split, metric order by percentile_before),
               b as (partition by dataset, split, metric order by percentile)
    ),
    agree as (
        select dataset, split, metric, count(*) as compared,
               corr(rank_before, rank_after) as spearman, avg(abs(moved)) as mean_moved
        from ranked group by all
    ),
    rows_before as (select dataset, split, metric, count(*) as n from one group by all),
    rows_after as (select dataset, split, metric, count(*) as n from two group by all)
    select dataset, split, metric, spearman, mean_moved,
           coalesce(rows_before.n, 0) as rows_before, coalesce(rows_after.n, 0) as rows_after,
           coalesce(compared, 0) as compared
    from rows_before full join rows_after using (dataset, split, metric)
         left join agree using (dataset, split, metric)
    order by all
"""
)
