"""The only home of database libraries; their errors become ours here."""
