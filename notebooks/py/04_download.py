# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 04 Download an object
#
# Now the credential is used. **OSS** (Object Storage Service) keeps files, called **objects**, in **buckets**. An
# object's name is its **key**, such as `testfolder/example.png`. Each request to OSS is **signed**: a number is computed
# from the request and the secret, so that the secret itself is never sent.
#
# **The one idea here:** a request reaches OSS if four things fit together: the credential, the **signature version**, the
# **endpoint** (the address) and its region. The program on Alibaba Cloud's
# [documentation page on instance RAM roles](https://help.aliyun.com/zh/ecs/user-guide/attach-an-instance-ram-role-to-an-ecs-instance),
# called "the page" here, no longer has them all right for a new account. You run it as printed, and as it must be today.
#
# Everything here happens in the **sandbox** on this machine. With `rr.connect("live")` the downloads work on the instance
# itself; name your own bucket. After a restart of the kernel, run the cells from the top.

# %% tags=["setup"]
import ramrole_nb as rr

cloud = rr.connect()
lesson = rr.lesson(cloud, "04", made_for="0.1.0")
lesson.prepare()

# %% [markdown]
# Where this plays (*SANDBOX* or *LIVE*), and how far you are. If this notebook is older than the package,
# a note appears here.

# %% tags=["setup"]
lesson

# %% [markdown]
# ## Download the picture
#
# In the panel: press **List**, choose `testfolder/example.png` in the table, tick **Overwrite an existing file** (you
# may have the picture from notebook 00) and press **Download**.

# %% tags=["panel"]
rr.widgets.ObjectsPanel(cloud, bucket="sandbox-photos", instance="web-1", prefix="testfolder/")

# %% [markdown]
# The same, typed. `using(vm)` signs with the role of the instance, as a program there would.

# %% tags=["typed"]
photos = cloud.buckets["sandbox-photos"].using(cloud.instances["web-1"])
photos.list("testfolder/")

# %% tags=["typed"]
photos.download("testfolder/example.png", overwrite=True)

# %% [markdown]
# Above the picture it says *verified*: the file appears only once its length and its checksum (CRC64) are those that OSS
# tells. A broken download leaves no file behind.
#
# ## The parts
#
# Which endpoint, which signature, and who signs? `-internal` is the address inside Alibaba Cloud's own network: it is
# reached from instances of the same region, and its traffic costs nothing.

# %%
cloud.buckets["sandbox-photos"].using(cloud.instances["web-1"])

# %% [markdown]
# Your own key, from your desk, would use the public address. Compare the *endpoint* and *signed by*:

# %%
cloud.buckets["sandbox-photos"]

# %% [markdown]
# ### What goes wrong: a key that does not exist
#
# Keys are exact: capitals count.

# %% tags=["typed"]
with rr.show_error():
    cloud.buckets["sandbox-photos"].using(cloud.instances["web-1"]).download("testfolder/Example.png")

# %% [markdown]
# ### What goes wrong: reading is all it may
#
# The role may read, not write. *message* is what OSS says; *why* is what it means here.

# %% tags=["typed"]
with rr.show_error():
    cloud.buckets["sandbox-photos"].using(cloud.instances["web-1"]).upload(b"hello", "testfolder/mine.txt")

# %% [markdown]
# ## The page's program, then and now
#
# Left: the program as the page prints it. Right: the same as it runs today. `≠` marks what differs. Both are files beside
# this notebook: `page_program_as_printed.py` and `page_program_today.py`.

# %%
rr.page.compare()

# %% [markdown]
# Each difference, with the date since when it counts, the error you meet otherwise, and the source. The rows after the
# program's own are about the rest of the page.

# %%
rr.page.differences()

# %% [markdown]
# ### Both really run
#
# Each runs in a process of its own, as a program on `web-1`: only the names at its end are filled in. This sandbox is an
# *old* account, and both work. (In a live session, copy the file to the instance and run it there.)

# %%
rr.page.run(cloud, "as printed")

# %%
rr.page.run(cloud, "today")

# %% [markdown]
# ### What a new account answers
#
# Accounts made since March 2025 are refused what the page prints. The sandbox can be such an account. So that your own
# world stays as it is, the next cell starts a second, private sandbox, and removes it at the end. It runs three programs:
# the page's, the page's with nothing mended but the signature, and the one of today.

# %%
with rr.Sandbox(world="new-account") as private:
    new = rr.connect(private)
    new.roles.create("EcsRamRole").grant("AliyunOSSReadOnlyAccess")
    new.instances["web-1"].attach("EcsRamRole")
    answers = rr.page.run_all(new)
answers

# %% [markdown]
# Look at the EC numbers (*error codes* of OSS). The first refusal is about the signature, V1. Mend that, and the second
# is about the public endpoint. Only with both mended does the picture arrive.
#
# ## On the wire
#
# Look at `GetObject`: signed by the role on `web-1`, and allowed by a statement of `AliyunOSSReadOnlyAccess`. The
# programs of the page ran in processes of their own, so they are not here: the wire shows what this notebook did.

# %% tags=["panel"]
rr.widgets.WirePanel(cloud)

# %% tags=["typed"]
cloud.wire

# %% [markdown]
# ## Exercises
#
# ### Exercise 1
#
# Be a program on **web-2** and download `testfolder/notes.txt`, signed with the role of web-2.

# %% tags=["panel"]
rr.widgets.ExercisePanel(lesson.q1)

# %%
# Your code, if you type it.

# %% tags=["typed"]
lesson.q1.check()

# %% [markdown]
# ### Exercise 2
#
# Save `testfolder/example.png` as the file **example-copy.png**, byte for byte.

# %% tags=["panel"]
rr.widgets.ExercisePanel(lesson.q2)

# %%
# Your code, if you type it.

# %% tags=["typed"]
lesson.q2.check()

# %% [markdown]
# ### Exercise 3
#
# The bucket **sandbox-backup** is in another region. Download an object of it, as a program on an instance in cn-beijing
# other than web-1. (Does its role have the permission?)

# %% tags=["panel"]
rr.widgets.ExercisePanel(lesson.q3)

# %%
# Your code, if you type it.

# %% tags=["typed"]
lesson.q3.check()

# %% [markdown]
# ## What you learned
#
# 1. Sign with V4, name the region, and use the internal endpoint from instances of that region.
# 2. The page's program works for old accounts only: new ones are refused twice, by signature and by endpoint.
# 3. A download is done when length and checksum are right, not when the last byte came.
#
# Ask yourself:
#
# <details><summary>A download from an instance in cn-hangzhou of a bucket in cn-beijing: which endpoint?</summary>The
# public one of cn-beijing (or one of your own domain names): the internal one works within its region only.</details>
#
# <details><summary>Where in this notebook is an AccessKey?</summary>In none of the role's requests. Only you, the one who
# created the role and attached it, have one.</details>
#
# <details><summary>Why is it bad that the page's program leaves an empty file when it is refused?</summary>The next
# program finds a file and takes it for the picture.</details>
#
# Next: [05 Switch identity, least privilege](05_switch_identity.ipynb)
