# Hint: `up` of Compose has a flag that says how many containers a service gets. `docker-compose up --help` names it.
# Hint: `--scale web=2`. A container that you made by hand has to go first.

Path("/run/shop").mkdir(exist_ok=True)
Path("/run/shop/docker-compose.yml").write_text(PROJECT)
sh(f"{COMPOSE} up --detach --scale web=2")
