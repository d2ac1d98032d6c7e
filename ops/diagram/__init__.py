"""The diagram of what an environment will deploy, drawn from its synthesized JSON.

From the JSON to the image: `resources`, `reading` with `edges`, `layout`, `graph`, `image`.
"""
