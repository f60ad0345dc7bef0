-- One query a line that DuckDB accepts, over the tables of conftest.py. What is inferred is held against DESCRIBE.
-- The analysis may say less than DuckDB (no columns with a note, no type) but never something else.
select id, amount*2 as dbl from raw.orders where status='paid'
select o.*, c.name from raw.orders o join raw.customers c on o.customer_id=c.id
with p as (select order_id, sum(paid) paid from stg.payments group by 1), o as (select * from raw.orders) select o.id, p.paid, o.amount-p.paid as open from o left join p on p.order_id=o.id
with orders as (select * from raw.orders) select count(*) as n from orders
from raw.orders
from raw.orders select id, amount where amount>1
select * exclude (items, status) from raw.orders
select * replace (amount/100 as amount) from raw.orders
select status, sum(amount) as s from raw.orders group by all order by all
select *, row_number() over (partition by customer_id order by created_at) rn from raw.orders qualify rn=1
select x, y from stg.a union all by name select x, z from stg.b
select o.id, p.paid from raw.orders o asof join stg.payments p on o.id=p.order_id and o.created_at>=p.at
pivot raw.orders on status in ('paid', 'open') using sum(amount) group by customer_id
select * from (pivot raw.orders on status in ('paid','open') using sum(amount) group by customer_id)
unpivot stg.a on x, y into name k value v
select * from stg.a unpivot (v for k in (x, y))
select id, [i*2 for i in items if i>1] as d from raw.orders
select id, list_transform(items, lambda i: i+1) as d from raw.orders
select id, unnest(items) as item from raw.orders
select o.id, t.m from raw.orders o, lateral (select max(paid) m from stg.payments p where p.order_id=o.id) t
select {'a': id, 'b': name}.a as aa from raw.customers
select columns('.*id') from raw.orders
select id from raw.orders semi join raw.customers c on c.id=customer_id
select id from raw.orders o where not exists (select 1 from stg.payments where order_id=o.id)
with recursive t(n) as (select 1 union all select n+1 from t where n<5) select n from t
select id from raw.orders using sample 10 percent (bernoulli)
select count(*) filter (where status='paid') as paid from raw.orders
select a.x, b.z from stg.a positional join stg.b
select amount*2 as a2, a2+1 as a3 from raw.orders
select total: amount, id from raw.orders
select * from (values (1,'a')) t(i,s)
select status, customer_id, sum(amount) s from raw.orders group by grouping sets ((status),(customer_id),())
select try_cast(name as int) as n, name::varchar(5) as s from raw.customers
select meta->>'$.a' as a, meta->'b' as b from stg.payments
select id, amount, from raw.orders
select "id" as "My Id" from "raw"."orders"
select id from raw.orders intersect select id from raw.customers except select order_id from stg.payments
select arg_max(name, id) as latest, string_agg(name, ',' order by id) as names from raw.customers
select id, sum(amount) over w as s from raw.orders window w as (partition by customer_id order by created_at rows between 3 preceding and current row)
select created_at + interval 3 days as t, date_trunc('month', created_at) m from raw.orders
select id, (select name from raw.customers c where c.id=o.customer_id) as cname from raw.orders o
-- duplicates, USING, NATURAL
select a.x, b.x from stg.a a, stg.b b
select x as x, y as X, y as x_1 from stg.a
select * from stg.a join stg.b using (x)
select * from stg.a right join stg.b using (x)
select * from stg.b full join stg.a using (x)
select * from stg.wide right join stg.a using (x)
select * from stg.a right join stg.wide using (x)
select * from stg.a full join stg.wide using (x)
select x from stg.b right join stg.wide using (x)
select X from stg.a left join stg.wide using (x)
select * from stg.a natural join stg.b
select * from stg.a natural left join stg.wide
select b.*, a.* from stg.a a join stg.b b using (x)
select b.x, a.x, x from stg.a a join stg.b b using (x)
select * from stg.a semi join stg.b using (x)
select * from stg.a anti join stg.b on stg.a.x = stg.b.x
select * from stg.a a1 join stg.a a2 using (x, y) join stg.b using (x)
select * from stg.b left join stg.a using (x) left join stg.a a2 using (x)
select * from stg.a, stg.b join stg.wide using (z)
select *, x+1 as x from stg.a
select * exclude (x), x from stg.a
select * exclude x from stg.a
select * rename (x as q) from stg.a
select * replace (1 as X) from stg.a
select * exclude (a.x) from stg.a a join stg.b b on true
select * exclude (b.x) from stg.a a join stg.b b on true
select * exclude (x) from stg.a join stg.b using (x)
select a.* exclude (x), b.* replace (z+1 as z) from stg.a a join stg.b b using (x)
select * from (stg.a join stg.b using (x))
select * from (stg.a join stg.b using (x)) t
select t.x from (stg.a join stg.b using (x)) t
select a.* from (stg.a join stg.b using (x))
select * from (stg.a), ((stg.b)) q
select * from ((select 1 as one))
select * from (select 1 as x, 2 as x, 3 as x_1)
with c as (select 1 as x, 2 as x) select x, x_1 from c
select * replace (1 as x) from stg.a t1 join stg.a t2 on true
select * from stg.a t1 join stg.a t2 using (x) join stg.wide t3 on true
select * from stg.a t1 full join stg.a t2 using (x) join stg.wide t3 using (x)
select * from stg.a t1 join stg.wide t2 using (x) full join stg.a t3 using (x)
select * rename (x as z) from stg.a t1 join stg.a t2 using (x) where z is not null
select * from stg.b t1 join (select * from stg.a t1 where t1.z is not null) t2 using (x)
-- names
select count(*), a.y from stg.a a group by all
select count(*) from stg.a
select (x), ((y)) from stg.a
select x y, y x from stg.a order by x
select Z from stg.wide
select z from stg.wide
select "Z" as "Zz", z from stg.wide
select Z from (select z from stg.wide) t
select a.X as X, A."x", a.y from stg.a a
select stg.a.x from stg.a
select t.t from (select 1 as t) t
select a.x from (select 5 as q) a, (select {'x': 'k'} as a) b
select s.p, s.q as qq from stg.wide
select a from stg.a a
select t from stg.a t where t.x > 0
select 'x' as 'lit', 1 as if from stg.a
select t.* from (select 1 as a, 2 as b) t(c)
with c(q) as (select 1, 2 as r) select * from c
select * from stg.a as t(p)
with recursive t(n) as (select 1 union all select n+1 from t where n<3) select * from t
with recursive t as (select id, customer_id from raw.orders union all select o.id, t.customer_id from raw.orders o join t on o.customer_id = t.id) select * from t
select x: 1, y: 2
select x as k from stg.a where k > 1 group by k having k > 1 order by k
select x from stg.a union select z from stg.b order by x
select x from stg.a union select z from stg.b order by z
select x, (select x + b.z from stg.b b limit 1) as k from stg.a
select x from stg.a where exists (select 1 from stg.b where stg.b.x = stg.a.x)
select x from stg.a where x in (select x from stg.b where y = 1)
select x from stg.a where (x, y) in (select x, z from stg.b)
select x from stg.a where y = any(select z from stg.b) and exists (from stg.b where b.z = a.x)
-- structs, lists, functions in FROM
select unnest(s) as u from stg.wide
select unnest(l) as u, unnest(l) as w from stg.wide
select unnest(string_split('a,b', ',')) as u, unnest(range(3)) v, unnest([1,2]) w
select s.* from stg.wide
select * from range(3)
select * from range(3) t
select * from range(3) t(i)
select i from range(1, 10, 2) t(i)
select range from range(3)
select generate_series from generate_series(1,3)
select * from unnest([1,2]) u
select * from unnest([1,2]) u(i)
select * from unnest([1,2])
select * from unnest([{'a': 1, 'b': 2}]) u
select w.x, u.v from stg.wide w, unnest(w.l) as u(v)
select w.x, u from stg.wide w cross join lateral unnest(l) u
select * from stg.a, lateral (select a.x+1 as k) t
select * from stg.a left join lateral (select a.x+1 as k) t on true
select columns(*) from stg.a
select min(columns(*)) from stg.a
select columns(* exclude (x)) from stg.a
select columns(lambda c: c like 'x%') from stg.a
select * like 'x%' from stg.a
select coalesce(columns(['x','y'])) from stg.a
select l.list_sort().list_reverse() as r, list_aggregate(l, 'sum') as s, l[1] as f, l[1:2] as sl from stg.wide
select list_filter(l, lambda e: e > x) as big, list_transform(l, lambda e, i: e + i) as t from stg.wide
select struct_extract(s,'p') as p, struct_pack(a := x, b := z) as q, row(x, z) as r from stg.wide
select map {'a': x} as m, map {'a': x}['a'] as v from stg.a
values (1, 2)
from (values (1,2)) t(a)
select * from (values (1, 'a'), (2, 'b')) limit 1
-- expressions and their types
select x/2 as a, x//2 as b, x*2 as c, x%2 as d, x+w as e, w*2 as f, -x as g, x-z as h, x*1.5 as i from stg.wide
select sum(x) as a, sum(w) as b, avg(x) as c, avg(w) as d, count(x) as e, min(x) as f, max(w) as g, sum(d) as h, avg(d) as i from stg.wide
select 1 as a, 3000000000 as b, 1.5 as c, 1e3 as d, -5 as e, 12.345 as f, .5 as g, 9223372036854775808 as h, 'x' as i, true as j, null as k
select coalesce(x, 0) as a, case when true then x else 0 end as b, greatest(x, z) as c, coalesce(w, 0) as d, nullif(x, 1) as e, if(x > 1, x, 0) as f, coalesce(x, 3000000000) as g from stg.wide
select case when x > 1 then 1 else 2.5 end as a, case when x > 1 then 'a' end as b, case x when 1 then z else null end as c from stg.wide
select x::smallint + x as a, x::tinyint*2 as b, x::smallint + 100000 as c, x::bigint + 1 as d, x::double + 1 as e from stg.a
select x in (1,2) as a, not true as b, x is null as c, x between 1 and 2 as d, y = 1 and x = 2 as e, exists(from stg.b) as f, x is distinct from y as g from stg.a
select name like 'a%' as a, name || 'b' as b, name ilike 'z' as c, upper(name) as d, concat(name, 1) as e, starts_with(name, 'a') as f, length(name) as g from raw.customers
select row_number() over () as a, rank() over (order by x) as b, ntile(2) over (order by x) as c, lag(x) over (order by y) as d, first_value(y) over (order by x) as e, percent_rank() over (order by x) as f, sum(x) over () as g from stg.a
select string_agg(name, ',') as a, list(id) as b, array_agg(name) as c, any_value(name) as d, arg_max(name, id) as e, mode(id) as f, median(id) as g, approx_count_distinct(id) as h, bool_and(id > 1) as i, stddev(id) as j, count_if(id > 1) as k from raw.customers
select x::varchar as a, cast(x as decimal(10,2)) as b, try_cast(x as date) as c, x::int[] as d, x::text::json as e, x::decimal as f, x::timestamptz as g, x::varchar(10) as h, x::float as i, x::hugeint as j, x::struct(a int) as k from (select null::varchar as x)
select round(w, 1) as a, round(d, 1) as b, round(x) as c, abs(x) as d, floor(w) as e, ceil(x) as f, floor(d) as g, -d as h, sqrt(x) as i, x^2 as j, round(avg(x) over (), 1) as k, abs(d) as l from stg.wide
select replace(name, 'a', 'b') as a, regexp_replace(name, 'a', 'b') as b, trim(name) as c, substr(name, 1) as d, left(name, 2) as e, lpad(name, 3, 'x') as f, split_part(name, ',', 1) as g, concat_ws(',', name, name) as h, md5(name) as i, strpos(name, 'a') as j, string_split(name, ',') as k, name[1] as l from raw.customers
select year(created_at) as a, month(created_at) as b, extract(dow from created_at) as c, extract(second from created_at) as d, date_trunc('day', created_at) as e, date_trunc('month', created_at::date) as f, created_at + interval 1 day as g, created_at::date - interval 1 day as h, last_day(created_at) as i, dayname(created_at) as j, make_date(2020, 1, 1) as k, date_trunc('hour', created_at::timestamptz) as l, created_at - created_at as m, quarter(created_at) as n from raw.orders
select amount + amount as a, amount * 2 as b, amount / 2 as c, -amount as d, sum(amount) over () as e, coalesce(amount, 0) as f, amount - 1 as g, avg(amount) over () as h, round(amount) as i from raw.orders
select list(id) as a, array_agg(name) as b, list(amount) as c, max(created_at) as d, corr(id, id) as e, median(amount) as f, sum(id) as g from raw.orders, (select 'a' as name)
select current_date as a, current_timestamp as b, now() as c, date '2020-01-01' as d, timestamp '2020-01-01 00:00:00' as e, interval 1 day as f, '2020-01-01'::date + 1 as g
select date_diff('day', created_at, now()::timestamp) as a, date_part('year', created_at) as b, extract(epoch from created_at) as c, year(created_at) as d, created_at::date as e, strftime(created_at, '%Y') as f, created_at at time zone 'UTC' as g from raw.orders
select 1 as k union all select 2::bigint
select 'a' as k union all select null
select x, y from stg.a union all select z, x from stg.b
select x from stg.a union all by name select z, w from stg.wide
select id as a, a + 1 as b, b * 2 as c from raw.orders
select sum(x order by y) as a, first(x order by y) as b, max(x, 3) as c, count(distinct x) as d, count(distinct (x, y)) as e, quantile_cont(x, 0.5) as f from stg.a
select sum(x) filter (where y = 1) over (partition by x rows between unbounded preceding and current row exclude ties) as s from stg.a
select user, session_user, current_catalog, current_schema
select rowid from stg.a
select t.x from stg.a t where t.rowid = 0
select y collate nocase as c from (select 'a' as y) order by y collate nocase
select x from stg.a order by y desc nulls last limit (select 2) offset 1
select distinct on (x) x, y from stg.a order by x, y
select x from stg.a tablesample 10%
with a as materialized (select 1 as x), b as not materialized (select * from a) select * from b
select (select count(*) from stg.b) as n, array(select x from stg.a) as l
select trim(leading from name) as a, substring(name from 1 for 2) as b, position('a' in name) as c, overlay(name placing 'a' from 1) as d from raw.customers
select grouping(x) as g, x from stg.a group by rollup(x)
(select 1 as a) union all (select 2) order by 1 limit 3
with a as (select 1 as x) (select x from a union all select x from a)
select e'a\n' as a, $$it's$$ as b, 'a''b' as c
select o.meta.a.b as deep from (select {'a': {'b': 1}} as meta) o
select meta.a.b as deep from (select {'a': {'b': 1}} as meta) o
select w * 1.5 as a, w + d as b, d - w as c, w * 2 as e, w % 2 as f, w // 2 as g, w * x as h, w::float * 2 as i, w::float + w as j, d * 1.5 as k from stg.wide
-- what looks like a column and is none, and the other way round
select x from stg.a order by all desc
select x, y from stg.a order by 1, 2 desc nulls first
select #1 + 1 as a from (select 5 as q)
select interval (x) day as a, interval '1' year as b, date '2020-01-01' + interval (y) months as c, interval 1 hour as d from stg.a
select extract('year' from created_at) as a, date_part(['year', 'month'], created_at) as b, datepart('day', created_at) as c from raw.orders
select 1 in (items) as a, 2 = any(items) as b, list_contains(items, id) as c, id in items as d from raw.orders
select x from stg.a limit all
select x from stg.a fetch first 2 rows only
select x from stg.a order by x offset 1
with recursive t(n, m) using key (n) as (select 1, 2 union all select n, m + 1 from t where m < 3) select * from t
select l[1:2] as a, l[-1] as b, l[1:] as c, l[:2] as d, 'abc'[1:2] as e from stg.wide
select json_extract(meta, '$.x') as a, meta->'$.x' as b, meta->>'x' as c, json_extract_string(meta, 'x') as d, meta['x'] as e from stg.payments
select struct_insert(s, n := 1) as a, struct_pack(k := x, v := w) as b, {'a': 1, 'b': x, "c": 2} as c, row(x, 'a') as d, s['p'] as e from stg.wide
select union_value(k := 1) as u, map(['a'], [x]) as m, map_from_entries([('k', x)]) as n from stg.a
select list_reduce(l, lambda a, b: a + b) as a, list_transform(l, lambda x: list_transform(l, lambda y: x + y)) as b, list_filter(l, lambda x: x > 1) as c from stg.wide
select [x + i for x, i in l] as a, [e for e in l if e > x] as b, [[e, f] for e in l] as c from stg.wide, (select 1 as f)
select last_value(x ignore nulls) over (partition by y order by x rows between unbounded preceding and 1 following) as a, lag(x, 1, 0) over w as b from stg.a window w as (order by y)
select quantile_cont(x, [0.25, 0.5]) as a, percentile_cont(0.5) within group (order by x) as b, mode() within group (order by x) as c from stg.a
select string_agg(distinct name order by name) as a, listagg(name, '|') as b, group_concat(name) as c from raw.customers
select current_setting('threads') as a, getvariable('x') as b, today() as c, version() as d, pi() as e, nextafter(1.0, 2.0) as f
select x collate nocase as a from (select 'a' as x) where x collate de = 'A'
select name similar to 'a.*' as a, name glob 'a*' as b, name ~ 'a' as c, name !~ 'a' as d, name like 'a\%' escape '\' as e, name ^@ 'a' as f, name not ilike 'b' as g, name ~~ 'a' as h from raw.customers
select cast(x as varchar) || '%' as a, x::varchar collate nocase as b, x::int8::varchar as c from stg.a
select * from (values (1, 2)) as t(a, b) where a = 1
select t.a from (values (1, 2)) as t(a, b)
from stg.a as q where q.x = 1
from stg.a select x, y as z where z > 1 order by z
select a.x from stg.a as a, lateral (select b.z from stg.b as b where b.x = a.x) as l where l.z = 1
select a.x, l.z from stg.a a join lateral (select z from stg.b b where b.x = a.x limit 1) l on true
select a.x from stg.a a where a.y = (select max(b.z) from stg.b b where b.x = a.x and exists (select 1 from stg.wide w where w.X = a.y and w.Z = b.z))
select (select a.x + b.z + c.x from stg.b c limit 1) as k from stg.a a, stg.b b
with c as (select x from stg.a), d as (select c.x, b.z from c join stg.b b on b.x = c.x) select d.x, d.z from d where d.x in (select x from c)
with a as (select 1 as k) select * from (with a as (select 2 as j) select j from a)
select x from (select x from stg.a union all select z from stg.b) where x > 1
select sum(x) as s from stg.a having s > 1
select x, count(*) as n from stg.a group by x having n > 1 order by n
select y as x, x as y from stg.a where x > 1
select distinct x from stg.a order by x
select count(distinct x) filter (where y > 1) as n from stg.a
select x, y from stg.a group by cube (x, y)
select x, y from stg.a group by grouping sets (x, (x, y), ())
select grouping_id(x, y) as g from stg.a group by rollup (x, y)
select * from stg.a tablesample reservoir(5 rows)
select * from stg.a using sample 5
select a.x from stg.a a join stg.b b using (x) where x > 1 order by b.z
select a.* from stg.a a left join stg.b b on a.x = b.x and b.z is not null
select stg.a.x from stg.a join stg.b on stg.a.x = stg.b.x
select unnest(l) + 1 as a from stg.wide
select unnest([{'a': 1}, {'a': 2}], recursive := true)
select generate_subscripts(l, 1) as i, unnest(l) as v from stg.wide
select v, i from stg.wide, unnest(l) with ordinality as t(v, i)
select case when x = 1 then 'a' when x = 2 then 'b' else null end as c, if(x = 1, 'a', 'b') as d, coalesce(null, x) as e from stg.a
select not exists (select 1 from stg.b) as e, x is not distinct from y as d, (x, y) = (1, 2) as t from stg.a
select try(cast('a' as int)) as t, try_cast('1' as int) as u
select hash(x, y) as h, md5(x::varchar) as m, typeof(x) as t from stg.a
select trim(both ' ' from name) as a, trim(name, 'x') as b, ltrim(name) as c, substring(name, 1, 2) as d, substring(name from 2) as e, left(name, 1) as f, position('a' in name) as g from raw.customers
select strftime(created_at, '%Y') as a, strptime('2020', '%Y') as b, created_at::time as c, created_at at time zone 'UTC' as d, timezone('UTC', created_at) as e, age(created_at) as f, date_trunc('week', created_at) as g, time_bucket(interval '1 day', created_at) as h, epoch_ms(created_at) as i from raw.orders
select s.p, s.* exclude (q) from stg.wide
select s.p + 1 as a, (s).q as b, struct_extract(s, 'p') as c from stg.wide order by s.p
select w.s.p as deep from stg.wide w
select stg.wide.s.p as deep from stg.wide
select * exclude (x, y), x + y as total from stg.a
select * replace (x::varchar as x, y + 1 as y) from stg.a
select a.* exclude (y), b.z as y from stg.a a join stg.b b using (x)
select columns(['x', 'y']) + 1 from stg.a
select columns('(x|y)') as 'c_\1' from stg.a
select max(columns(* exclude (y))) from stg.a
select * from stg.a where columns(*) > 1
select x from stg.a where (select true)
select coalesce(*columns(*)) as c from stg.a
select struct_pack(*columns(*)) as c from stg.a
select a from (select stg.a as a from stg.a)
select t from (from stg.a) t
select count(t) as n, count(*) as m from stg.a t
select to_json(t) as j from stg.a t
select first(t order by x) as f from stg.a t
select row_number() over () as rn, * from stg.a
select *, count(*) over (partition by x) as n from stg.a
select rank() over (order by sum(x)) as r, y from stg.a group by y
select x as "select", y as "from" from stg.a
select 'a' as "It's", 1 as "a""b"
select x as ünï, y as _y, 1 as a1$ from stg.a
select x, y, from stg.a
select (x) from stg.a
select -x as n, +x as p, - -x as q from stg.a
select all x from stg.a
select x from stg.a a(p, q), lateral (select p as x)
select p from stg.a as a(p, q)
select p, y from stg.a as a(p)
select * from (stg.a cross join stg.b)
select * from stg.a natural join stg.b natural left join stg.wide
select a.x from stg.a a asof left join stg.wide w on a.x = w.X and a.y >= w.Z
select * from stg.a positional join stg.b
(select x from stg.a) union (select x from stg.b) order by x limit 1
select x from stg.a except all select x from stg.b
select x from stg.a intersect all select x from stg.b
select x, 'a' as src from stg.a union all by name select z, 'b' as src from stg.b
table stg.a
from (from (from stg.a))
values (1, 'a'), (2, 'b')
select * from range(date '2020-01-01', date '2020-02-01', interval 1 day) t(d)
select d::date as day from generate_series(timestamp '2020-01-01', timestamp '2020-02-01', interval 1 day) t(d)
select r.range from range(10) r
select unnest(range(x)) as n from stg.a
select i, j from unnest([1, 2]) t(i), unnest([3]) u(j)
select * from repeat(1, 2)
select * from query('select 1 as a')
select * from duckdb_tables()
select table_name from duckdb_tables() where schema_name = 'main'
select column_name from information_schema.columns where table_name = 'a'
select name from pragma_database_list
select f.x from (select x, y from stg.a) as f(x, z) where f.z > 1
select * from stg.a where x in (select unnest(l) from stg.wide)
select * from stg.a where (x, y) not in (select x, z from stg.b)
select max(x) as x from stg.a where x < (select avg(x) from stg.a)
select x from stg.a where y > all (select z from stg.b where x = a.x)
select cast(row(1, 2) as struct(a int, b int)).a as v
select {'a': {'b': [1, 2]}}.a.b[1] as v
select list_value(x, y)[1] as v, [x, y] as w, array[x, y] as z from stg.a
select list_zip(l, l) as z, list_sort(l, 'desc') as s, flatten([l, l]) as f, list_distinct(l) as d from stg.wide
select l.list_transform(lambda e: e + 1).list_sum() as s from stg.wide
select ('a' || name).upper() as u, name.lower().trim() as l from raw.customers
select x.abs() as a from stg.a
select sum(x) over (order by y range between interval 1 day preceding and current row) as s from (select 1 as x, timestamp '2020-01-01' as y)
select x, lead(x) over (partition by y order by x groups between 1 preceding and 1 following) as n from stg.a
select any_value(x) as a, arbitrary(y) as b, bit_xor(x) as c, bool_and(x > 1) as d, entropy(x) as e, histogram(x) as f, kurtosis(x) as g, approx_top_k(x, 2) as h, product(x) as i from stg.a
pivot stg.a on x in (1, 2) using sum(y)
select * from stg.a pivot (sum(y) for x in (1, 2))
unpivot stg.a on columns(*) into name n value v
select * from (unpivot stg.a on x, y)
with p as (pivot stg.a on x in (1, 2) using sum(y)) select * from p
with recursive c as (select x, 0 as depth from stg.a union select c.x + 1, c.depth + 1 from c where c.depth < 3) select x, depth from c
with recursive c(i) as (values (1) union all select i + 1 from c where i < 3) select i from c
select x from stg.a a where exists (from stg.b b where b.x = a.x)
select case x when 1 then y else x end as c from stg.a
select nullif(x, 0) / nullif(y, 0) as r from stg.a
select greatest(x, y, 1) as g, least(x, y) as l from stg.a
select date_add(created_at, interval 1 day) as a, date_sub('day', created_at, created_at) as b, make_timestamp(2020, 1, 1, 0, 0, 0.0) as c, to_days(id) as d from raw.orders
select cast('{"a": 1}' as json).a as j
select regexp_extract(name, '(a)(b)', ['x', 'y']) as r, regexp_split_to_array(name, ',') as s, regexp_matches(name, 'a', 'i') as m from raw.customers
select format('{:d}', x) as f, printf('%d', x) as p, lpad(x::varchar, 3, '0') as l, chr(x) as c from stg.a
select a.x from stg.a a semi join stg.b b on a.x = b.x where a.y > 1
select a.x from stg.a a anti join stg.b b using (x)
select x from stg.a where rowid = 1 order by rowid
select a.rowid from stg.a a
describe stg.a
summarize stg.a
