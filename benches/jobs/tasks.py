"""The same for Celery: tasks that do nothing, on Redis."""

import os

from celery import Celery

app = Celery("tasks", broker=os.environ["BROKER"])
app.conf.task_ignore_result = True


@app.task
def nothing():
    pass


if __name__ == "__main__":
    import sys

    with app.producer_pool.acquire() as producer:
        for _ in range(int(sys.argv[1])):
            nothing.apply_async(producer=producer)
