"""What this site's requests to RapidPro servers meet, kept by the hour.

    recorder   counts each request in the process: no database, nothing is waited for
    writing    writes the counts as hourly rows, in batches, from any number of processes
    models     the rows
    reading    what the staff's pages and the metrics ask of them
    histogram  median and percentiles out of counts

Source: docs/adr/0013-hourly-rows.md.
"""
