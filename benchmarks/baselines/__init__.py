"""Programs that show the same page of flows in other ways, for `benchmarks.bench_site`: a whole program a module.

    tutorial    a sync Django view that asks with requests, as tutorials have it
    stock       stock async Django, with a new httpx client for each request or with one for all of them
    bare        ASGI without Django, as quick as we could write it

All have a session, a person, a token that is sealed in the database, a request to the upstream and a table of 250 rows
with the same columns. None of them caches, limits, logs or guards what the site does: they are floors and ceilings.
"""
