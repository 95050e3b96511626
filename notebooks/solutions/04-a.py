# Hint: Which line has to be carried out again when `app.txt` changes? All lines after this one are carried out again,
#   too.
# Hint: So the line `RUN` stands before the line `COPY app.txt /app.txt`.

Path("/quick").mkdir(exist_ok=True)
Path("/quick/app.txt").write_text("version 1\n")
Path("/quick/Dockerfile").write_text("FROM busybox\nRUN seq 1 100000 > /packages\nCOPY app.txt /app.txt\n")
