"""SQL for how ranks moved between two versions of `scores`.

Only examples that both versions rank are compared, also by Spearman's correlation, so examples that
came or went do not count as movement. `moved` is the difference of the published percentiles,
positive towards prototypical, and `class_moved` the same within the class. A new label may change
only the latter, so relabelled examples come first.

What became of labels is counted over all rows that both versions hold, in one metric for each
split. The accuracy is that of `predicted`. Both splits are shown if either has another label, for
what corrected training labels are worth is seen in the test split.
"""

_BOTH = """
    with one as (select * from "before"), two as (select * from "after"),
    common as (
        select dataset, split, metric, example_id, two.name, two.label, two.given_label,
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
    select dataset, split, metric, example_id, name, label_before, label, given_label,
           percentile_before, percentile, moved, class_moved
    from common
    where moved <> 0 or relabelled
    order by relabelled desc, abs(moved) desc, dataset, split, metric, example_id
    limit {n:d}
"""
)

CORRECTED = """
    with one as (select * from "before"), two as (select * from "after"),
    chosen as (
        select dataset, split, min(metric) as metric
        from (select distinct dataset, split, metric from one
              intersect select distinct dataset, split, metric from two)
        group by all
    ),
    common as (
        select dataset, split, two.label, two.predicted,
               one.label as label_before, one.predicted as predicted_before,
               coalesce(one.status = 'excluded', false) as excluded_before,
               coalesce(two.status = 'excluded', false) as excluded,
               one.given_label is not null or excluded_before as changed_before,
               two.given_label is not null or two.status is not distinct from 'excluded' as changed
        from one join two using (dataset, split, metric, example_id)
             join chosen using (dataset, split, metric)
    )
    select dataset, split,
           count(*) filter (changed and not excluded and label is distinct from label_before)
               as corrected,
           count(*) filter (excluded and not excluded_before) as excluded,
           count(*) filter (changed_before and not changed) as given_back,
           avg((predicted_before = label_before)::int) as accuracy_before,
           avg((predicted_before = label)::int) as accuracy_before_as_labelled_now,
           avg((predicted = label)::int) as accuracy
    from common group by dataset, split
    qualify sum(count(*) filter (
                label is distinct from label_before or excluded <> excluded_before
            )) over (partition by dataset) > 0
    order by dataset, split desc
"""

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
